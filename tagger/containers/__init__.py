"""Containers: recognised, whole or not, their tags read and written. Only here mutagen is used.

`formats` is the table of containers. Each container, or family of them, has one module that knows
its structure (`mpeg`, `flac`, `ogg`, `mp4`, `asf`, `wav_aiff`, `dsf`, `streams`, `matroska`): it
recognises it, tells what is missing of it, and takes its tag apart into entries of raw bytes and
puts it together again, so that a field which is not ours is never decoded and encoded anew. Tags
that several containers have are in `id3`, `id3v1`, `apev2` and `vorbis`.

`recognise` and `whole` ask these modules; so does `opened`, which finds all tags of a file, also
those around what is the container's own. On it `read` and `credits` rest, `write`, which plans and
writes, `verify`, which checks that nothing else changed, and `snapshot`, which remembers and
restores what was there. mutagen, which does decode and encode, reads every copy as a second reader;
what it would have to do is counted before and timed (`id3_bounds`, `bounds`).
"""
