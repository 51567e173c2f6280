"""What a disk holds after a power loss: a program's file operations are recorded, then replayed without what was
never synced.

``recorder.c`` is loaded into the program (LD_PRELOAD) and writes down what it does below one directory, in order.
``disk.Disk`` reads that and makes the directory as a power loss at any moment may leave it. The model is stricter than
most file systems: data is kept only by a sync of its file, a name only by a sync of its directory (names change in
order, as in a journal), and what was not synced may be there in any part.
"""
