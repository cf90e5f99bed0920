"""How the page of a data report looks. Nothing is loaded from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #fff; --band: #f6f8fa; --line: #d1d9e0;
  --good: #1a7f37; --bad: #c4232b; --train: #3d76c2; --validation: #b07d1e; --holdout: #7a5bb5; --link: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --paper: #14181d; --band: #1d2229;
  --line: #363d46; --good: #4cc46a; --bad: #ff7b72; --train: #6ea4ea; --validation: #d9a648; --holdout: #ab8fe6;
  --link: #7ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
h2 { font-size: 1.2rem; margin: 1.75rem 0 .5rem; padding-top: .5rem; }
p, ul { margin: .4rem 0; }
p { max-width: 60rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
bdi, code { overflow-wrap: anywhere; white-space: pre-wrap; }
code { font: .9em/1.5 ui-monospace, monospace; }
.soft { color: var(--soft); }
.about { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; font-size: .95rem; }
.about dt { color: var(--soft); }
.about dd { margin: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: .6rem 0; margin: 1rem 0 0;
  border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.verdict { border-left: .4rem solid var(--good); background: var(--band); padding: .75rem 1.25rem;
  margin-top: 1.25rem; }
.verdict h2 { margin: 0; padding: 0; color: var(--good); }
.verdict.fail { border-color: var(--bad); }
.verdict.fail h2 { color: var(--bad); }
.verdict ul { padding-left: 1.2rem; }
.verdict li { overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)); gap: .75rem;
  margin: .75rem 0; }
.figures div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
.figures dt { color: var(--soft); font-size: .9rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.figures small { font-size: .9rem; color: var(--soft); margin-left: .25rem; }
.figures .bad dd { color: var(--bad); }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; border-bottom-width: 2px; }
tbody th { font-weight: inherit; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { min-width: 9rem; width: 24%; }
.path { min-width: 14rem; width: 40%; }
.reason { min-width: 14rem; overflow-wrap: anywhere; }
.images { width: 30%; min-width: 9rem; }
.bar { display: flex; height: .8rem; margin-top: .35rem; }
.bar span { min-width: 0; }
.train { background: var(--train); }
.validation { background: var(--validation); }
.holdout { background: var(--holdout); }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .35rem 0 .9rem; vertical-align: -.05rem; }
.key:first-child { margin-left: 0; }
.gone { color: var(--bad); }
.new { color: var(--good); }
summary { cursor: pointer; padding: .5rem 0; color: var(--link); }
@media (forced-colors: active), print { .bar span, .key { forced-color-adjust: none; print-color-adjust: exact; } }
"""
