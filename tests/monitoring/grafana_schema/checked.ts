// What Grafana's own types say about a dashboard of these kinds of panels. An object with a key that is not in its type
// is an error, so a misspelt option is found, which Grafana would ignore.
import type * as schema from "@grafana/schema";
import type * as bars from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen.js";
import type * as timeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen.js";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.js";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.js";
import type * as lines from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.js";

// JSON has the values of enums where the types have the enums themselves.
type Json<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

// The types of a query of Prometheus are not in the package.
interface Query {
  datasource: schema.DataSourceRef;
  editorMode: "code";
  expr: string;
  format: "time_series" | "table";
  instant: boolean;
  range: boolean;
  legendFormat?: string;
  refId: string;
}

// Values that the package types as `unknown` or leaves to plug-ins.
type Colour = { mode: `${schema.FieldColorModeId}` };
type Field<Custom> = Omit<schema.FieldConfig, "custom" | "color" | "thresholds" | "mappings"> & {
  color?: Colour;
  custom?: Custom;
  mappings?: Json<schema.ValueMapping>[];
  thresholds?: Json<Omit<schema.ThresholdsConfig, "steps">> & { steps: { color: string; value: number | null }[] };
};
type Panel<Kind extends string, Options, Custom = never> = Omit<
  schema.Panel,
  "type" | "options" | "fieldConfig" | "targets"
> & {
  type: Kind;
  options: Json<Options>;
  fieldConfig: { defaults: Field<Json<Custom>>; overrides: never[] };
  targets: Query[];
};

export type Checked = Omit<schema.Dashboard, "panels" | "annotations" | "templating"> & {
  panels: (
    | Json<schema.RowPanel>
    | Panel<"bargauge", bars.Options>
    | Panel<"stat", stat.Options>
    | Panel<"state-timeline", timeline.Options, timeline.FieldConfig>
    | Panel<"table", table.Options>
    | Panel<"timeseries", lines.Options, lines.FieldConfig>
  )[];
  annotations: { list: (Omit<schema.AnnotationQuery, "target"> & Annotation)[] };
  templating: { list: (Json<schema.VariableModel> & { definition?: string })[] };
};

interface Annotation {
  target?: { expr: string; interval: string; refId: string };
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
}
