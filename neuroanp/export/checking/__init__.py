"""The script that lies in every export: it presents a stimulus in the format's reader and compares what that gives.

`compare.py` is the part that all have; each other module here is what a format adds: `READERS`, and `run`, which takes
the stimulus by name and returns what the reader gives by name. `script` makes one file of the two, which needs numpy
and the reader alone; `writing` puts it beside the artefact, `running` runs it on an export from anywhere.
"""
