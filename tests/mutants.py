"""Mutants of the product, each with the tests that must find it: proof that the tests still notice after a change.

    .venv/bin/python -m tests.mutants [--only NAME] [--list] [-- PYTEST OPTIONS]

Each mutant is one replacement in a copy of the checkout, in which its tests are then run. `found` means that a test
failed; `SURVIVED` that all of them passed. Run this after the tests have been moved or made smaller. The fifteen
planted bugs of the model check are tests themselves, see `tests/protocol/test_protocol.py`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
# Pytest's exit code where workers of `-n` were stopped at the first failure.
_INTERRUPTED = 2


@dataclass(frozen=True)
class Mutant:
    """`before` occurs exactly once in `file`; `tests` are what pytest is given."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "the best time of a version that is gone is never forgotten",
        "serving/gateway/models/admission.py",
        "if now - self._began >= FORGET_SECONDS:",
        "if False:",
        ("tests/serving/gateway/models/test_admission.py",),
    ),
    Mutant(
        "a batch is compared with single images",
        "serving/gateway/models/admission.py",
        "self._best.setdefault(ticket.images.bit_length(), ",
        "self._best.setdefault(0, ",
        ("tests/serving/gateway/models/test_admission.py",),
    ),
    Mutant(
        "one end in a first ring of several is not enough",
        "pipeline/rollout/replicas.py",
        "                is_first_ring=True,\n",
        "                is_first_ring=False,\n",
        ("tests/protocol/test_first_ring.py",),
    ),
    Mutant(
        "a candidate in the first ring is promoted",
        "pipeline/journal/state.py",
        "    if state.first_ring_only:\n        raise Refused(",
        "    if False:\n        raise Refused(",
        ("tests/protocol/test_first_ring.py",),
    ),
    Mutant(
        "the config of all others names the candidate of the first ring",
        "pipeline/journal/state.py",
        "    return state.candidate if first_ring or not state.first_ring_only else None\n",
        "    return state.candidate\n",
        ("tests/protocol/test_first_ring.py",),
    ),
    Mutant(
        "the first ring is not observed",
        "pipeline/rollout/rings.py",
        "        end = clock.monotonic() + self._fleet.soak_seconds\n",
        "        return judged\n",
        ("tests/protocol/test_first_ring.py",),
    ),
    Mutant(
        "an image is not decoded before it is stored",
        "pipeline/data/decoding/image_files.py",
        "        decoded_shape(prepared.content, channels=channels)\n",
        "",
        ("tests/pipeline/data/test_image_files.py",),
    ),
    Mutant(
        "the end of a PNG is not looked for",
        "serving/images/png_chunks.py",
        "        if end > len(content):\n",
        "        if not name:\n            return\n        if False:\n",
        ("tests/serving/test_images.py",),
    ),
    Mutant(
        "the header of an image is believed",
        "serving/images/header.py",
        "        if picture.width * picture.height > MOST_PIXELS:\n",
        "        if False:\n",
        ("tests/serving/test_images.py",),
    ),
    Mutant(
        "a PNG may claim another size before its real one",
        "pipeline/training/preprocessing.py",
        "len(HEADER_OF_PNG)), HEADER_OF_PNG)",
        "8), HEADER_OF_PNG[:8])",
        ("tests/pipeline/training/test_pixel_limit.py",),
    ),
    Mutant(
        "the exported graph has no limit on pixels",
        "pipeline/training/preprocessing.py",
        "(pixels <= MOST_PIXELS)",
        "(pixels <= 2**62)",
        ("tests/pipeline/training/test_pixel_limit.py",),
    ),
    Mutant(
        "an image that looks like those of two splits is in the first of them",
        "pipeline/data/snapshot/near_duplicates.py",
        "if len(found) == 1 and allowed:",
        "if True:",
        ("tests/pipeline/data/test_near_duplicates.py",),
    ),
    Mutant(
        "an image under another name gets another split",
        "pipeline/data/snapshot/resolving.py",
        "    _recall(database, at)\n",
        "",
        (
            "tests/pipeline/data/test_importing.py",
            "tests/pipeline/data/test_near_duplicates.py",
        ),
    ),
    Mutant(
        "shares that have changed leave the splits as they were",
        "pipeline/data/snapshot/known.py",
        "            table.forget_splits()\n",
        "            pass\n",
        ("tests/pipeline/data/test_importing.py",),
    ),
    Mutant(
        "an image that was lost in the bucket is known all the same",
        "pipeline/data/snapshot/known.py",
        "table.forget_stored(digests)",
        "()",
        (
            "tests/pipeline/data/test_importing.py",
            "tests/pipeline/data/test_shards.py",
        ),
    ),
    Mutant(
        "parts that were read with other settings are taken",
        "pipeline/data/snapshot/known.py",
        'if part.settings["reading"] == self._settings["reading"]:',
        "if True:",
        ("tests/pipeline/data/test_importing.py",),
    ),
    Mutant(
        "a manifest of images may name what is not below it",
        "pipeline/data/sources/manifest.py",
        'if ".." in path.split("/"):',
        "if False:",
        ("tests/pipeline/data/sources/test_manifest.py",),
    ),
    Mutant(
        "a pickle may ask for any name",
        "pipeline/data/sources/builtin/batches.py",
        "return _NAMES[module, name]",
        "return _NAMES.get((module, name)) or super().find_class(module, name)",
        ("tests/pipeline/data/sources/test_builtin.py",),
    ),
    Mutant(
        "a download is not compared with what was published",
        "pipeline/data/sources/builtin/download.py",
        "if digest.hexdigest() != file.sha256:",
        "if False:",
        ("tests/pipeline/data/sources/test_builtin.py",),
    ),
    Mutant(
        "a path is a formula in the tables of a report",
        "pipeline/data/report/data_report.py",
        "text.startswith(_FORMULA)",
        "False",
        ("tests/pipeline/data/test_report.py",),
    ),
    Mutant(
        "a path is HTML in a report",
        "pipeline/data/report/html.py",
        "return escape(on_one_line(content))",
        "return on_one_line(content)",
        ("tests/pipeline/data/test_report.py",),
    ),
    Mutant(
        "the newest list of images is deleted when it is old",
        "pipeline/rules/retention.py",
        "name != newest and ",
        "",
        ("tests/pipeline/verbs/test_retain_snapshots.py",),
    ),
    Mutant(
        "any number of unusable files is skipped",
        "pipeline/data/snapshot/examined.py",
        "return self.found.unusable > checks.unusable * self.found.files",
        "return False",
        ("tests/pipeline/data/test_importing.py",),
    ),
    Mutant(
        "a few images are enough to refuse all for their labels",
        "pipeline/verdicts/data_checks.py",
        "if suspects.examined < FEWEST_EXAMINED:",
        "if False:",
        ("tests/pipeline/verdicts/test_data_checks.py",),
    ),
    Mutant(
        "images that a limit refuses are trained on",
        "pipeline/verbs/snapshot.py",
        "    if not run.force:\n",
        "    if False:\n",
        ("tests/pipeline/verbs/test_refused_images.py",),
    ),
    Mutant(
        "force overrules files that cannot be used",
        "pipeline/verbs/snapshot.py",
        "    require_usable(data, checks, report=context.bucket.uri(report))\n",
        "",
        ("tests/pipeline/verbs/test_refused_images.py",),
    ),
    Mutant(
        "doubts of the serving version about labels are not judged",
        "pipeline/verbs/snapshot.py",
        "judge(data, checks, suspects)",
        "judge(data, checks, None)",
        ("tests/pipeline/inspection/test_suspected_labels.py",),
    ),
    Mutant(
        "hidden folders are labels",
        "pipeline/storage/system_files.py",
        'return name.startswith(".") or',
        "return",
        ("tests/pipeline/data/sources/test_folders.py", "tests/pipeline/storage/test_tree.py"),
    ),
    Mutant(
        "links that lead out of a data set are followed",
        "pipeline/storage/local_tree.py",
        "        if not self._is_inside(real):\n",
        "        if False:\n",
        ("tests/pipeline/data/sources/test_folders.py", "tests/pipeline/storage/test_local_tree.py"),
    ),
    Mutant(
        "a file that changed just now counts as known",
        "pipeline/storage/local_tree.py",
        'str(changed) if changed < settled else ""',
        "str(changed)",
        ("tests/pipeline/storage/test_local_tree.py",),
    ),
    Mutant(
        "a download is not compared with what is stored",
        "pipeline/storage/object_folders.py",
        "    if differing:\n",
        "    if False:\n",
        ("tests/pipeline/storage/test_s3_faults.py",),
    ),
    Mutant(
        "sync writes the config before the versions that it names",
        "pipeline/verbs/sync.py",
        "        present = {folder: ",
        "        _replaced(root / layout.config(model), configs[layout.config(model)])\n        present = {folder: ",
        ("tests/pipeline/verbs/test_sync.py",),
    ),
    Mutant(
        "a version that sync removes stays",
        "pipeline/verbs/sync.py",
        "for version in sorted(present[folder] - wanted[folder])",
        "for version in ()",
        ("tests/pipeline/verbs/test_sync.py",),
    ),
    Mutant(
        "a created object replaces what is there",
        "pipeline/storage/local.py",
        "                os.link(prepared, target)\n            except FileExistsError:",
        "                prepared.replace(target)\n            except FileExistsError:",
        ("tests/processes/test_two_at_once.py",),
    ),
    Mutant(
        "a copy is made in its place instead of beside it",
        "pipeline/storage/local.py",
        "                shutil.copytree(self._root / source, aside)\n                with ThreadPoolExecutor(1)",
        "                aside = self._parent(key)\n                shutil.copytree(self._root / source, aside)\n"
        "                with ThreadPoolExecutor(1)",
        ("tests/processes/test_killed_at_each_effect.py",),
    ),
    Mutant(
        "a writer that lost the race thinks it has won",
        "pipeline/journal/journal.py",
        "            if self._append(entry):\n",
        "            if self._append(entry) or True:\n",
        ("tests/processes/test_two_at_once.py",),
    ),
    Mutant(
        "a config of a newer version is taken for one of the pinned roll-out",
        "pipeline/rollout/config.py",
        "if found is None or unknown_format(text) is not None:",
        "if found is None:",
        ("tests/pipeline/rollout/test_config.py",),
    ),
    Mutant(
        "a damaged event is taken for one of a newer version",
        "pipeline/stored.py",
        '            if not _is_name(error["input"]):\n                return []\n',
        "",
        ("tests/pipeline/test_stored.py",),
    ),
    Mutant(
        "the journal is read before the config",
        "pipeline/rollout/rollout.py",
        "            found = {key: self._content(key) for key in self._keys}\n"
        "            history = self._journal.read()\n",
        "            history = self._journal.read()\n"
        "            found = {key: self._content(key) for key in self._keys}\n",
        ("tests/pipeline/rollout/test_following.py",),
    ),
    Mutant(
        "a run's verb does not begin by carrying out the last entry",
        "pipeline/run_verbs.py",
        "    context.rollout.settle()\n    record =",
        "    record =",
        ("tests/processes/test_killed_at_each_effect.py",),
    ),
    Mutant(
        "a replica that slept through the expose is not healed",
        "pipeline/rollout/healing.py",
        "    if serving in seen and not seen[serving].ended:\n",
        "    if True:\n",
        ("tests/pipeline/verbs/test_releases.py", "tests/pipeline/verbs/test_rollbacks.py"),
    ),
    Mutant(
        "healing takes away what the replica answers from",
        "pipeline/rollout/healing.py",
        "versions = {serving} if behind is None else {serving, behind}",
        "versions = {serving}",
        ("tests/protocol/test_healing.py",),
    ),
    Mutant(
        "a server of another model is not recognised",
        "pipeline/rollout/other_models.py",
        "if not each.ended)\n",
        "if each.ended)\n",
        ("tests/pipeline/rollout/test_other_models.py",),
    ),
    Mutant(
        "a server that has never seen this model is handed a config",
        "pipeline/rollout/healing.py",
        "    if not seen:\n",
        "    if False:\n",
        ("tests/pipeline/rollout/test_other_models.py",),
    ),
    Mutant(
        "a model is trained for another model's fleet",
        "pipeline/verbs/train.py",
        "    context.replicas.require_own_fleet()\n",
        "",
        ("tests/pipeline/rollout/test_other_models.py",),
    ),
    Mutant(
        "ends of servers are not counted",
        "pipeline/rollout/crash_detector.py",
        "        if self._seen.pop(address, None) is not None:\n",
        "        if False:\n",
        ("tests/processes/test_killed_servers.py", "tests/protocol/test_fleet_faults.py"),
    ),
    Mutant(
        "the time limit of a call is no part of the silence",
        "pipeline/rollout/crash_detector.py",
        "            self._silent_since.setdefault(address, self._now() - seconds)\n",
        "            self._silent_since.setdefault(address, self._now())\n",
        ("tests/pipeline/rollout/test_crash_detector.py",),
    ),
    Mutant(
        "a restart count that has risen is no end",
        "pipeline/rollout/pod_changes.py",
        "        return max(0, now.restarts - before.restarts) if ",
        "        return 0 if ",
        ("tests/pipeline/rollout/test_crash_detector.py",),
    ),
    Mutant(
        "a pod that was replaced is evidence",
        "pipeline/rollout/pod_changes.py",
        "now is not None and before.uid != now.uid\n",
        "now is not None and False\n",
        ("tests/pipeline/rollout/test_crash_detector.py", "tests/pipeline/rollout/test_pods.py"),
    ),
    Mutant(
        "an end is counted by look and by restart count",
        "pipeline/rollout/crash_detector.py",
        "max(self._ends[address], changes.restarts(address))",
        "self._ends[address] + changes.restarts(address)",
        ("tests/pipeline/rollout/test_crash_detector.py",),
    ),
    Mutant(
        "a pod is judged by the answers of the one before",
        "pipeline/rollout/questioning.py",
        " or reports[each].process != now.get(each)]\n",
        "]\n",
        ("tests/pipeline/rollout/test_pods.py",),
    ),
    Mutant(
        "a pod with a wrong answer is asked again when it was replaced",
        "pipeline/rollout/pinned.py",
        "            if questioning.failure(reports.values()):\n",
        "            if False:\n",
        ("tests/pipeline/rollout/test_pods.py",),
    ),
    Mutant(
        "a wrong answer counts only as long as its server is there",
        "pipeline/rollout/questioning.py",
        "        verdict = failure or self._conclude(result, reports)\n",
        "        verdict = self._conclude(result, reports)\n",
        ("tests/pipeline/rollout/test_pods.py",),
    ),
    Mutant(
        "the end of a pod that was just deleted is evidence",
        "pipeline/rollout/canary_end.py",
        " and crashes.is_over(replicas.known_addresses(fresh=True))\n",
        "\n",
        ("tests/pipeline/rollout/test_pods.py",),
    ),
    Mutant(
        "each replica that is not asked any more costs a fresh list",
        "pipeline/rollout/canary_end.py",
        "                self._confirmed.set()\n        return self._confirmed.is_set()\n",
        "                return True\n        return False\n",
        ("tests/pipeline/rollout/test_canary_end.py",),
    ),
    Mutant(
        "another pod need not be ready twice",
        "pipeline/rollout/waiting.py",
        "            if members != self._members:\n",
        "            if members.keys() != self._members.keys():\n",
        ("tests/pipeline/rollout/test_many_replicas.py",),
    ),
    Mutant(
        "one round is enough to call a fleet complete",
        "pipeline/rollout/waiting.py",
        "if confirmed or",
        "if result.complete or",
        ("tests/protocol/test_simulated.py",),
    ),
    Mutant(
        "a replica that cannot load does not end the wait",
        "pipeline/rollout/waiting.py",
        "            return bool(failed)\n",
        "            return False\n",
        ("tests/protocol/test_fleet_faults.py",),
    ),
    Mutant(
        "a roll-back trusts its target unseen",
        "pipeline/inspection/rollback_plan.py",
        "            context.manifests.verify_checksums(target, history)\n        except",
        "            pass\n        except",
        ("tests/pipeline/verbs/test_rollbacks.py", "tests/pipeline/verbs/test_what_is_lost.py"),
    ),
    Mutant(
        "the canary does not read the version back",
        "pipeline/verbs/canary.py",
        "    manifest = context.manifests.verify(version, context.journal.read())\n",
        "    manifest = context.manifests.read(version, context.journal.read())\n",
        ("tests/pipeline/verbs/test_releases.py",),
    ),
    Mutant(
        "MLflow is shown a promotion that has failed",
        "pipeline/context.py",
        "        if not _is_half_promoted(context.journal.known):\n",
        "        if context:\n",
        ("tests/pipeline/journal/test_observers.py",),
    ),
    Mutant(
        "a roll-back waits for no replica",
        "pipeline/rollout/pinned.py",
        "        return version, self._wait.followed(version, best_effort=True)\n",
        "        return version, WaitResult(ready=tuple(self._replicas.addresses()), pending=())\n",
        ("tests/pipeline/verbs/test_rollbacks.py",),
    ),
    Mutant(
        "a slow writer takes away what the journal wants again",
        "pipeline/rollout/base_path.py",
        "        for version in sorted(found.difference(wanted)):\n            self._take_away(version)",
        "        for version in sorted(found.difference(wanted)):\n"
        "            self._bucket.remove(self._path(version))",
        ("tests/pipeline/rollout/test_latest_faults.py",),
    ),
    Mutant(
        "a good model is not reissued to a stuck fleet",
        "pipeline/rules/run.py",
        "    if is_half_promoted(history):\n        return None\n",
        "    return None\n",
        ("tests/pipeline/rollout/test_latest.py", "tests/pipeline/rollout/test_latest_faults.py"),
    ),
    Mutant(
        "`saved_model.pb` is the last object of a folder to go",
        "pipeline/storage/object_folders.py",
        "    for names in reversed(list(_stages(listed))):",
        "    for names in list(_stages(listed)):",
        (
            "tests/pipeline/storage/test_contract.py",
            "tests/pipeline/storage/test_gcs_bucket.py",
            "tests/pipeline/storage/test_faults.py",
        ),
    ),
    Mutant(
        "a write whose answer was lost is given up",
        "pipeline/storage/object_bucket.py",
        "(ChangedError, UnansweredError) as error:\n            found = self._look_again(key, error)\n            if",
        "ChangedError as error:\n            found = self._look_again(key, error)\n            if",
        ("tests/pipeline/storage/test_faults.py",),
    ),
    Mutant(
        "a call that may still succeed is not tried again",
        "serving/gcs/time_limits.py",
        '"retry": retry.with_timeout(limits.retries)}',
        '"retry": None}',
        ("tests/pipeline/storage/test_faults.py", "tests/processes/test_faulty_bucket.py"),
    ),
    Mutant(
        "a name that is known nowhere looks like a model without a release",
        "pipeline/inspection/known_models.py",
        "    if context.model in names or context.rollout.has_config():\n",
        "    if True:\n",
        ("tests/pipeline/inspection/test_known_models.py",),
    ),
    Mutant(
        "during a canary status calls what a replica had before a difference",
        "pipeline/inspection/expectation.py",
        '"first_ring_only": False}) if self.proving else last\n',
        '"first_ring_only": False}) if False else last\n',
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status ends with 0 whatever it finds",
        "pipeline/cli/inspect.py",
        "    if found.differences:\n",
        "    if False:\n",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status calls a roll-back under way a difference",
        "pipeline/inspection/differences.py",
        "_of_moves(history) if found.moving is None else []",
        "_of_moves(history)",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status calls the load of previous after a roll-back a difference",
        "pipeline/inspection/differences.py",
        " - set(failed) - set(expectation.loading)",
        " - set(failed)",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status never ends to wait for the load of previous",
        "pipeline/inspection/expectation.py",
        "            return needed if needed and not self.load_deadline.has_passed(needed) else None\n",
        "            return needed\n",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status reports the failed load of a withdrawn version",
        "pipeline/inspection/differences.py",
        "each.failed and each.version in needed",
        "each.failed and each.version in wanted",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status says that a run which waits for an approval has stopped",
        "pipeline/inspection/differences.py",
        "proving and bucket.passed_at is None and",
        "proving and",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "status forgives a candidate that nobody is at work on",
        "pipeline/rules/reconcile.py",
        "    return exposed if exposed and not deadline.has_passed(exposed) else None\n",
        "    return exposed\n",
        ("tests/pipeline/inspection/test_status.py",),
    ),
    Mutant(
        "a run whose code has changed says nothing",
        "pipeline/runs/code_version.py",
        "    if UNKNOWN in (recorded, now) or recorded == now:\n",
        "    if True:\n",
        ("tests/pipeline/runs/test_code_version.py",),
    ),
    Mutant(
        "git describes the repository of somebody else",
        "pipeline/runs/code_version.py",
        'f"--git-dir={checkout}/.git", f"--work-tree={checkout}", ',
        "",
        ("tests/pipeline/runs/test_code_version.py",),
    ),
    Mutant(
        "reconcile withdraws before the deadline",
        "pipeline/rules/reconcile.py",
        "        return (self.now - entry.at).total_seconds() > self.seconds\n",
        "        return True\n",
        ("tests/pipeline/verbs/test_reconcile.py",),
    ),
    Mutant(
        "retain deletes without having written it down",
        "pipeline/verbs/retain.py",
        "    history = context.journal.decide(rule)\n",
        "    history = context.journal.read()\n    rule(history)\n",
        ("tests/pipeline/verbs/test_retain.py",),
    ),
    Mutant(
        "a withdrawn model comes back under a new number",
        "pipeline/rules/readmission.py",
        "    if last is None or last.event is not Event.WITHDRAWN:\n        return\n",
        "    if True:\n        return\n",
        ("tests/pipeline/rules/test_readmission.py",),
    ),
    Mutant(
        "a missing label is left out though nobody has accepted that",
        "pipeline/verdicts/labels.py",
        "    removed = set(found.missing) & set(accepted)\n",
        "    removed = set(found.missing)\n",
        ("tests/pipeline/verdicts/test_labels.py", "tests/pipeline/verbs/test_label_contract.py"),
    ),
    Mutant(
        "force overrules a change of labels",
        "pipeline/verbs/gate.py",
        " and all(check.decision is Decision.PASS for check in labels):",
        ":",
        ("tests/pipeline/test_cli.py",),
    ),
    Mutant(
        "what serves is asked about labels it cannot know",
        "pipeline/rollout/questioning.py",
        "fresh=known or probes.fresh,",
        "fresh=probes.fresh,",
        ("tests/pipeline/verbs/test_label_contract.py",),
    ),
    Mutant(
        "the canary does not look at the index of a label",
        "pipeline/verdicts/canary.py",
        "    if not problems:\n",
        "    if True:\n",
        ("tests/pipeline/verdicts/test_canary.py", "tests/pipeline/verbs/test_label_contract.py"),
    ),
    Mutant(
        "a version is unloaded while it answers",
        "serving/model_server/lifecycle/loader_harness.py",
        "            self._idle.wait_for(lambda: self._users == 0)\n",
        "            pass\n",
        ("tests/serving/model_server/lifecycle/test_stress.py",),
    ),
    Mutant(
        "a label may move to a version that is not loaded",
        "serving/model_server/lifecycle/server_core.py",
        "        return self._allow_labels_for_unavailable and current == version\n",
        "        return self._allow_labels_for_unavailable\n",
        ("tests/serving/model_server/lifecycle/test_server_core.py", "tests/protocol/test_simulated_contract.py"),
    ),
    Mutant(
        "a model may write files",
        "pipeline/safety/operation_effects.py",
        "SnapshotDataset SnapshotDatasetV2 WriteFile ",
        "SnapshotDataset SnapshotDatasetV2 ",
        ("tests/pipeline/safety",),
    ),
    Mutant(
        "a version of another bucket in MLflow is taken for one's own",
        "pipeline/tracking/ownership.py",
        "            return version.bucket == self.bucket.id\n",
        "            return True\n",
        ("tests/pipeline/tracking/test_mirror.py",),
    ),
    Mutant(
        "MLflow says of a version what was true when it was registered",
        "pipeline/tracking/mirror.py",
        "        if not changed:\n",
        "        if not changed or each.description:\n",
        ("tests/pipeline/tracking/test_mirror.py",),
    ),
    Mutant(
        "a mirror that another one has overwritten says that MLflow is complete",
        "pipeline/tracking/progress.py",
        "    if found != began.value:\n",
        "    if False:\n",
        ("tests/pipeline/tracking/test_mirror_growth.py",),
    ),
    Mutant(
        "how far MLflow has followed is taken from an entry that the journal has lost",
        "pipeline/tracking/progress.py",
        " or _moment(history, seq) != found[2]:\n",
        ":\n",
        ("tests/pipeline/tracking/test_mirror_growth.py",),
    ),
    Mutant(
        "a description that a person has written in MLflow is replaced",
        "pipeline/tracking/tags.py",
        ' if found.get(NOTE, "") in ("", describe(found)) else new\n',
        "\n",
        ("tests/pipeline/tracking/test_mirror.py",),
    ),
    Mutant(
        "the REST port of a replica is not looked at before anything starts",
        "embedded/ports.py",
        "enumerate(fleet.rest_ports, start=1)",
        "enumerate((), start=1)",
        ("tests/embedded/test_ports.py",),
    ),
    Mutant(
        "the aliases of another bucket are moved",
        "pipeline/tracking/mirror.py",
        "            return [collision] if wanted else []\n",
        "            pass\n",
        ("tests/pipeline/tracking/test_mirror.py",),
    ),
    Mutant(
        "a repeated train trains again",
        "pipeline/verbs/train.py",
        "        if exported is None:\n",
        "        if True:\n",
        ("tests/pipeline/tracking/test_tracked_run.py",),
    ),
    Mutant(
        "withdraw runs only where everything went well",
        "dags/retrain.py",
        '            trigger_rule="one_failed",\n',
        '            trigger_rule="all_success",\n',
        ("tests/dags",),
    ),
    Mutant(
        "a roll-back shortens the hold of another",
        "pipeline/journal/state.py",
        '            "held_until": longest(state.held_until, hold, unpinned),\n',
        '            "held_until": longest(hold, unpinned),\n',
        ("tests/pipeline/verbs/test_roll_back_holds.py",),
    ),
    Mutant(
        "a scheduled run trains although promotions are held",
        "pipeline/verbs/train.py",
        "    decline_if_held(context)\n",
        "",
        ("tests/pipeline/verbs/test_roll_back_holds.py",),
    ),
    Mutant(
        "an event trains on the same images again",
        "pipeline/inspection/decided_runs.py",
        "    if not (settings.scheduled or settings.started_by_event):\n",
        "    if not settings.scheduled or settings.started_by_event:\n",
        ("tests/pipeline/verbs/test_events.py",),
    ),
    Mutant(
        "a scheduled run trains although nothing has changed",
        "pipeline/inspection/decided_runs.py",
        "    return None if changed else newest\n",
        "    return None\n",
        ("tests/pipeline/verbs/test_unchanged_runs.py",),
    ),
    Mutant(
        "a scheduled run does not train although the code has changed",
        "pipeline/rules/unchanged.py",
        "        *_code(before.code_version, now.code_version),\n",
        "",
        ("tests/pipeline/verbs/test_unchanged_runs.py",),
    ),
    Mutant(
        "a version of the code that cannot be told counts as unchanged",
        "pipeline/runs/code_version.py",
        "    return version != UNKNOWN and not version.endswith(_DIRTY)\n",
        "    return True\n",
        ("tests/pipeline/verbs/test_unchanged_runs.py",),
    ),
    Mutant(
        "a run that found nothing changed leaves a record for every later run to look at",
        "pipeline/verbs/snapshot.py",
        "    newest = run_to_repeat(context, history, now)\n",
        "    newest = run_to_repeat(context, history, now)\n    _freeze(context, spec)\n",
        ("tests/pipeline/verbs/test_unchanged_runs.py",),
    ),
    Mutant(
        "a run that was overtaken counts as decided",
        "pipeline/inspection/decided_runs.py",
        '    if promoted and promoted.outcome == "done":\n',
        "    if promoted:\n",
        ("tests/pipeline/verbs/test_events.py",),
    ),
    Mutant(
        "a model that a person has readmitted is still refused to events",
        "pipeline/rules/unchanged.py",
        "    if word is not None and word.event is Event.READMITTED:\n        return None\n",
        "",
        ("tests/pipeline/rules/test_unchanged.py",),
    ),
    Mutant(
        "images whose canary could not tell are not trained on again",
        "pipeline/rules/unchanged.py",
        "word.verdict is not None and word.verdict.decision is Decision.FAIL",
        "word.verdict is not None",
        ("tests/pipeline/rules/test_unchanged.py",),
    ),
    Mutant(
        "a message is not acknowledged",
        "dags/new_images.py",
        "        ack_messages=True,\n",
        "        ack_messages=False,\n",
        ("tests/google_cloud/test_dags.py",),
    ),
    Mutant(
        "previous is a version that was taken back",
        "pipeline/journal/history.py",
        "if content not in seen and self.was_good(number) and",
        "if content not in seen and",
        ("tests/pipeline/journal/test_journal.py", "tests/pipeline/verbs/test_rollbacks.py"),
    ),
    Mutant(
        "a change is announced again",
        "pipeline/journal/announcements.py",
        "takewhile(lambda move: move.seq > known, ",
        "takewhile(lambda move: move.seq >= known, ",
        ("tests/pipeline/journal/test_announcements.py",),
    ),
    Mutant(
        "a process that keeps ending is started again without a pause",
        "embedded/supervision/child_process.py",
        "        self._start_at = time.monotonic() + pause\n",
        "",
        ("tests/embedded/supervision/test_supervisor.py",),
    ),
    Mutant(
        "the children of a killed process keep running beside the new one",
        "embedded/supervision/child_process.py",
        "            processes.signal_all(processes.started_by(self._var, self._entry.name), signal.SIGKILL)\n",
        "            pass\n",
        ("tests/embedded/supervision/test_supervisor.py",),
    ),
    Mutant(
        "a full disk ends the supervisor",
        "embedded/supervision/supervisor.py",
        "        except OSError as error:\n",
        "        except ValueError as error:\n",
        ("tests/embedded/supervision/test_supervisor.py",),
    ),
    Mutant(
        "the state of an earlier supervisor is used",
        "embedded/supervision/process_states.py",
        " if state.supervisor == supervisor else {}\n",
        "\n",
        ("tests/embedded/supervision/test_supervisor.py", "tests/embedded/test_status.py"),
    ),
    Mutant(
        "the scheduler is started before the API server answers",
        "embedded/__main__.py",
        "    while not health.airflow_answers(settings):\n",
        "    while False:\n",
        ("tests/embedded/test_health.py",),
    ),
    Mutant(
        "a saved setting overrides a variable",
        "pipeline/stack_file.py",
        "(**(known | said))",
        "(**(said | known))",
        ("tests/embedded/test_saved_settings.py",),
    ),
    Mutant(
        "up ignores that the running stack has other settings",
        "embedded/stack.py",
        "            saved_settings.require_unchanged(settings)\n",
        "",
        ("tests/embedded/test_stack.py",),
    ),
    Mutant(
        "a verb for another bucket asks the replicas of the stack here",
        "pipeline/settings.py",
        '        if "root" in named.model_fields_set:\n            return named',
        "        if False:\n            return named",
        ("tests/embedded/test_saved_settings.py",),
    ),
    Mutant(
        "the first failed load of a version is no alert",
        "docker/prometheus/alerts.yaml",
        '                  unless :tensorflow:cc:saved_model:load_attempt_count{status="fail"} offset 10m\n',
        '                  and :tensorflow:cc:saved_model:load_attempt_count{status="fail"} offset 10m\n',
        ("tests/monitoring/test_alerts.py",),
    ),
    Mutant(
        "requests for models that do not exist are an alert",
        "docker/prometheus/alerts.yaml",
        "          and on (job, instance, model_name)\n",
        "          and on (job, instance)\n",
        ("tests/monitoring/test_alerts.py",),
    ),
    Mutant(
        "a panel asks for a metric that no server exports",
        "docker/grafana/dashboards/serving.json",
        "(rate(:tensorflow:serving:batching_session:queuing_latency_bucket{",
        "(rate(:tensorflow:serving:batching_session:queue_latency_bucket{",
        ("tests/monitoring/test_metric_names.py",),
    ),
    Mutant(
        "a training begins again although there is a checkpoint",
        "pipeline/training/fitting/training_state.py",
        "        if arrays is not None:\n",
        "        if False:\n",
        ("tests/pipeline/training/fitting/test_fitting.py",),
    ),
    Mutant(
        "the last epoch is exported, not the best one",
        "pipeline/training/fitting/fit.py",
        "        if state.newest_is_best:\n            state.best_weights",
        "        if True:\n            state.best_weights",
        ("tests/pipeline/training/fitting/test_fitting.py",),
    ),
    Mutant(
        "the state of the optimiser is not restored",
        "pipeline/training/fitting/fit.py",
        "        _assign(self._variables(), arrays)\n",
        "        _assign(self._variables()[:3], arrays[:3])\n",
        ("tests/pipeline/training/fitting/test_fitting.py",),
    ),
    Mutant(
        "damaged arrays of a checkpoint are taken",
        "pipeline/training/fitting/checkpoints.py",
        "sum_of_file(path).sha256 != state.sha256",
        "False",
        ("tests/pipeline/training/fitting/test_checkpoints.py",),
    ),
    Mutant(
        "the checkpoint of another training is taken",
        "pipeline/training/fitting/checkpoints.py",
        "        if state.of != self.of:\n",
        "        if False:\n",
        ("tests/pipeline/training/fitting/test_checkpoints.py",),
    ),
    Mutant(
        "early stopping never ends a phase",
        "pipeline/training/fitting/best_epoch.py",
        "self.since >= stopping.patience",
        "False",
        ("tests/pipeline/training/fitting/test_best_epoch.py",),
    ),
    Mutant(
        "each epoch has the same order",
        "pipeline/training/inputs/order.py",
        "SeedSequence([seed, epoch])",
        "SeedSequence([seed, 0])",
        ("tests/pipeline/training/inputs",),
    ),
    Mutant(
        "damaged pixels are trained on",
        "pipeline/training/inputs/segment.py",
        "zlib.crc32(memory) == sum_of_pixels",
        "True",
        ("tests/pipeline/training/inputs",),
    ),
    Mutant(
        "an export that answers otherwise is stored",
        "pipeline/training/exporting/equality.py",
        "            if not difference <= TOLERANCE:\n",
        "            if False:\n",
        ("tests/pipeline/training/test_exports.py",),
    ),
    Mutant(
        "batch normalisation is trained in fine-tuning",
        "pipeline/training/networks/building.py",
        "position >= first and not isinstance(layer, keras.layers.BatchNormalization)",
        "position >= first",
        ("tests/pipeline/training/networks/test_phases.py",),
    ),
    Mutant(
        "requests are sent again without a budget",
        "serving/client/budget.py",
        "            return False\n",
        "            return True\n",
        ("tests/serving/client/test_budget.py", "tests/serving/client/test_attempts.py"),
    ),
    Mutant(
        "more than one request tries a fleet that is down",
        "serving/client/breaker.py",
        "        self._epoch += 1\n        self._trial_at = now + self._rest\n\n    def _open",
        "        self._epoch += 1\n\n    def _open",
        ("tests/serving/client/test_breaker.py",),
    ),
    Mutant(
        "a whole fleet may be out because of outliers",
        "serving/client/outliers.py",
        "        return out + 1 <= MOST_OUT * len(self._members)\n",
        "        return True\n",
        ("tests/serving/client/test_outliers.py",),
    ),
    Mutant(
        "a replica whose queue is full counts as one that is down",
        "serving/client/attempts.py",
        "        if isinstance(error, OverloadedError) or (self.short and isinstance(error, TooSlowError)):\n",
        "        if self.short and isinstance(error, TooSlowError):\n",
        ("tests/serving/client/test_attempts.py", "tests/serving/client/test_resilience.py"),
    ),
    Mutant(
        "the names of classes are asked for with each request",
        "serving/client/class_names.py",
        '        self._keep(model, version, names, float("inf"))\n',
        "        self._keep(model, version, names, self._now())\n",
        ("tests/serving/client/test_classify.py",),
    ),
    Mutant(
        "a stale checkpoint is trusted",
        "pipeline/journal/journal.py",
        "        return self._digests[seq].startswith(digest)\n",
        "        return True\n",
        ("tests/pipeline/journal/test_checkpoints.py",),
    ),
    Mutant(
        "a damaged checkpoint is believed",
        "pipeline/journal/checkpoints.py",
        " or found != found.signed():\n",
        ":\n",
        ("tests/pipeline/journal/test_checkpoints.py",),
    ),
    Mutant(
        "a damaged page of a checkpoint is believed",
        "pipeline/journal/checkpoints.py",
        "        if digest_of(content) != digest:\n",
        "        if False:\n",
        ("tests/pipeline/journal/test_checkpoints.py",),
    ),
    Mutant(
        "a page of a checkpoint that is lost counts as empty",
        "pipeline/journal/checkpoints.py",
        '            raise DamagedPageError(f"a page of the checkpoint of entry {seq} cannot be read: '
        '{error}") from error\n',
        '            return b"{}"\n',
        ("tests/pipeline/journal/test_checkpoints.py",),
    ),
    Mutant(
        "a gap in the listing of entries is not noticed",
        "pipeline/journal/stored_entries.py",
        "        if missing:\n",
        "        if False:\n",
        ("tests/pipeline/journal/test_checkpoints.py",),
    ),
    Mutant(
        "a checkpoint forgets in which order versions have served",
        "pipeline/journal/folding.py",
        "            self.facts.served = [*_without(self.facts.served, (serving,)), serving]\n",
        "            self.facts.served = [serving, *_without(self.facts.served, (serving,))]\n",
        ("tests/pipeline/journal/test_past.py",),
    ),
    Mutant(
        "a checkpoint stands for the newest entry",
        "pipeline/journal/journal.py",
        "        return (seq // self._every - 1) * self._every\n",
        "        return (seq // self._every) * self._every\n",
        ("tests/pipeline/journal/test_checkpoints.py",),
    ),
)


def main() -> int:
    """Run what was asked for; 0 where every mutant was found."""
    options = _options()
    chosen = [each for each in MUTANTS if options.only in each.name]
    if options.list:
        for mutant in chosen:
            _say(f"{mutant.name}: {mutant.file}; pytest {' '.join(mutant.tests)}")
        return 0
    _require_fit(chosen)
    _require_green(sorted({test for mutant in chosen for test in mutant.tests}), options.pytest)
    survived = 0
    for mutant in chosen:
        begin = time.monotonic()
        found, summary = _run(mutant, options.pytest)
        survived += not found
        _say(f"{'found   ' if found else 'SURVIVED'} {time.monotonic() - begin:5.0f} s  {mutant.name}: {summary}")
    _say(f"{len(chosen) - survived} of {len(chosen)} mutants found")
    return 1 if survived or not chosen else 0


def _require_fit(mutants: Sequence[Mutant]) -> None:
    """Look at all of them before hours are spent on some.

    Raises:
        SystemExit: the text of one does not occur exactly once in the product any more.
    """
    for mutant in mutants:
        count = (PROJECT / mutant.file).read_text(encoding="utf-8").count(mutant.before)
        if count != 1:
            sys.exit(f"{mutant.name}: {mutant.file} has its text {count} times, not once; correct the mutant")


def _require_green(tests: Sequence[str], pytest_options: Sequence[str]) -> None:
    """A test that fails without any mutant would find every one.

    Raises:
        SystemExit: one does.
    """
    with tempfile.TemporaryDirectory() as folder:
        _copy_checkout(Path(folder))
        done = _pytest(Path(folder), tests, pytest_options)
    if done.returncode:
        sys.exit(f"without a mutant pytest ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    _say(f"without a mutant: {done.stdout.strip().splitlines()[-1]}")


def _run(mutant: Mutant, pytest_options: Sequence[str]) -> tuple[bool, str]:
    """Whether a test failed, and pytest's line about the first that did.

    Raises:
        SystemExit: its tests could not be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        _copy_checkout(Path(folder))
        target = Path(folder, mutant.file)
        text = target.read_text(encoding="utf-8")
        target.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
        done = _pytest(Path(folder), mutant.tests, pytest_options)
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith("FAILED ")]
    if bool(failed) is (done.returncode == 0) or done.returncode > _INTERRUPTED:
        sys.exit(f"{mutant.name}: pytest ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return bool(failed), (failed or lines)[-1][:160]


def _pytest(folder: Path, tests: Sequence[str], options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # Where CI is set a test that is skipped fails, and that finds nothing.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    command = [sys.executable, "-m", "pytest", "-x", "--tb=line", *options, *tests]
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _copy_checkout(folder: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name contains this")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("pytest", nargs="*", metavar="PYTEST OPTION", help="given to pytest, after --")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
