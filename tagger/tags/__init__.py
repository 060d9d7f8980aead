"""Reading and writing tags. Only this package and `files/formats.py` use mutagen.

`read.py` reads, `write.py` plans and writes, `verify.py` checks that nothing else changed,
`snapshot.py` remembers and restores what was there. Below them stands one module a kind of tag
(`id3`, `id3v1`, `apev2`, `vorbis`, `mp4`, `asf`, `chunks`), found in a file by `containers` and
`surroundings`: each takes a file's tag apart into entries of
raw bytes and puts it together again, so that a field which is not ours is never decoded and
encoded anew. mutagen, which does decode and encode, reads every copy as a second reader; what it
would have to do is counted before (`id3_bounds`, `tagger.files.bounds`) and timed (`deadline`).
"""
