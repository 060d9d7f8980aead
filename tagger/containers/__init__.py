"""Containers: recognised, whole or not, their tags read and written. Only here mutagen is used.

`formats` recognises a container by its content, `whole` tells whether a file is complete. `read`
reads, `write` plans and writes, `verify` checks that nothing else changed, `snapshot` remembers and
restores what was there. Below them stands one module a kind of tag (`id3`, `id3v1`, `apev2`,
`vorbis`, `mp4`, `asf`, `chunks`), found in a file by `opened` and `surroundings`: each takes a
file's tag apart into entries of raw bytes and puts it together again, so that a field which is not
ours is never decoded and encoded anew. mutagen, which does decode and encode, reads every copy as a
second reader; what it would have to do is counted before (`id3_bounds`, `bounds`) and timed
(`deadline`).
"""
