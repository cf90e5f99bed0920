"""The flags that shape TensorFlow's sessions, as the ConfigProto they add up to."""

import logging
from typing import Any

from serving.apis import config_pb2, rewriter_config_pb2
from serving.model_server.flags import Flags
from serving.model_server.storage import text_proto

logger = logging.getLogger(__name__)


def session_config(flags: Flags) -> Any:
    """What --tensorflow_session_config_file says, overruled by the flags of their own. Raises StatusError.

    Without the file, threads that have nothing to do sleep at once. TensorFlow's would look around for work for a
    while first, at the cost of half the CPU time of a small model where cores are few and shared with requests.
    """
    config = config_pb2.ConfigProto()
    if flags.tensorflow_session_config_file:
        text_proto.read(flags.tensorflow_session_config_file, config)
    else:
        config.experimental.disable_thread_spinning = True
    config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    config.intra_op_parallelism_threads, config.inter_op_parallelism_threads = session_threads(flags)
    if flags.mixed_precision == "bfloat16":
        config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = (
            rewriter_config_pb2.RewriterConfig.ON
        )
    elif flags.mixed_precision:
        logger.warning("%s auto mixed precision is not supported. Valid option: bfloat16", flags.mixed_precision)
    return config


def session_threads(flags: Flags) -> tuple[int, int]:
    """Within and between operations; 0 leaves it to TensorFlow."""
    separate = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    together = flags.tensorflow_session_parallelism
    return separate if any(number > 0 for number in separate) else (together, together)
