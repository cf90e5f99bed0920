"""What one loaded model answers to one request, by TensorFlow Serving's rules: messages in, messages out.

It knows neither a server nor which models there are. The model server answers with it; the pipeline's scorer loads a
model with it as a server would, warm-up included.
"""
