"""The composition root: settings -> objects -> running processes; the only place that imports everything.

``supervisor`` starts and watches three processes: ``front`` (the one URL), ``control`` (operations and reconcilers) and
``object_plane`` (S3). ``capabilities`` lists what is served, ``composition`` builds the platform's handles.
"""
