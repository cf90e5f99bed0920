"""TensorFlow's C library through ctypes: SavedModels, checkpoints, and the operations this build registers.

It knows no server and no requests, and never imports TensorFlow's Python.

All imports are absolute, so `import tensorflow` means the installed package here too. No file of `serving/` is to be
run as a script: Python would then look for `tensorflow` in `serving/` first.
"""
