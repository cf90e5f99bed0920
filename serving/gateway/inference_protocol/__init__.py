"""The bodies of the Open Inference Protocol v2 over HTTP, from and to arrays. No input or output.

The protocol: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md. Bodies may also use
the extension "binary_tensor_data", as Triton describes it in docs/protocol/extension_binary_data.md of its server:
tensors as raw bytes behind the JSON.
"""
