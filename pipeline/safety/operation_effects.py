"""What each kind of operation does to the world outside the graph; a kind named nowhere here only computes.

The table was made by going through every kind that TensorFlow 2.21 registers. A pattern stands for a family, so that
its next member is refused as well; `Experimental` in front of a name changes nothing.
"""

import re
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

# Every SavedModel has these, to save and restore its own variables. Whether they are harmless depends on who runs them.
SAVER = frozenset({"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"})
# These read a text file, which may be an asset of the model itself.
TABLES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})

_DENIED = {
    "writes files": (
        "CacheDataset* CalibrationStatisticsSaver *DatasetToTFRecord DistributedSave DumpTensor MergeV2Checkpoints "
        "Save SaveDataset* SaveSlices SaveV2 SnapshotDataset SnapshotDatasetV2 WriteFile "
        "CloseSummaryWriter CreateSummary* FlushSummaryWriter ImportEvent StatsAggregatorSetSummaryWriter "
        "SummaryWriter Write*Summary"
    ),
    "reads files": (
        "DTensorRestoreV2 GenerateVocabRemapping ImmutableConst LoadAndRemapMatrix LoadDataset *MatchingFiles* "
        "ReadFile Reader* *Reader *ReaderV2 RecordInput Restore RestoreSlice RestoreV2 Skipgram "
        "*CSVDataset* *FixedLengthRecord* *LMDB* *SnapshotChunk* *SqlDataset *TFRecord* *TextLine*"
    ),
    "names the files of a checkpoint": "ShardedFilename ShardedFilespec",
    "runs Python": "*PyFunc*",
    "talks to the network": (
        "DataServiceDataset* DeleteRpcFutureResource FileSystemSetConfiguration RegisterDataset* RemoteCall Rpc*"
    ),
    "hands tensors to a debugger, by file or network": "Copy CopyHost DebugIdentity* DebugNanCount DebugNumericSummary",
    "exchanges tensors with other processes": "AllToAll Collective* CrossReplicaSum Nccl* Recv Send",
    "controls accelerators, which a model does not need": (
        "*TPU* *Tpu* DTensor* Infeed* Outfeed* StoreMinibatchStatisticsInFdo UpdateTaskIdAndGlobalCoreArray "
        "WorkerHeartbeat"
    ),
    "calls back into the host program": "XlaCustomCall* XlaHostCompute XlaRecv* XlaSend*",
    "runs a program that this scan cannot look into": (
        "DatasetFromGraph DeserializeIterator MlirPassthroughOp XlaCallModule"
    ),
    "stops the server": "Abort",
    "is internal to the runtime, and no export writes it": "_*",
}
# A file only where an attribute says so: the attribute, and the values that name none.
_HARMLESS = {
    "DecodeProtoV2": ("descriptor_source", re.compile(rb"(local://|bytes://.*)?", re.DOTALL)),
    "EncodeProto": ("descriptor_source", re.compile(rb"(local://|bytes://.*)?", re.DOTALL)),
    "FixedUnigramCandidateSampler": ("vocab_file", re.compile(rb"")),
    "PrintV2": ("output_stream", re.compile(rb"(stdout|stderr|log\(\w+\))?")),
}


def effect(node: Any) -> str | None:
    """What the node does besides computing, as the verb of a sentence; None for nothing."""
    if node.op in TABLES:
        return "reads files"
    if node.op in _HARMLESS:
        name, harmless = _HARMLESS[node.op]
        value = node.attr.get(name)
        # In a function an attribute may be a placeholder, which each caller fills in.
        if value is not None and (value.placeholder or not harmless.fullmatch(value.s)):
            return f"may name a file by its {name}"
    return _effect_of_kind(node.op)


@cache
def _effect_of_kind(kind: str) -> str | None:
    name = kind.removeprefix("Experimental")
    for effect, patterns in _DENIED.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns.split()):
            return effect
    return None
