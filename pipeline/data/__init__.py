"""Images in.

sources/    where they are: class folders, manifests, shards, built-in data sets
decoding/   one image: decoded as a server decodes it, and what it looks like
snapshot/   which of them a run uses, and how the next run knows them
report/     what was found, for people
examples    what training and evaluation read
"""
