"""The model server: runs inside a replica of an endpoint and answers predictions on sockets it inherits.

    server      the parent: unpacks, prepares, forks a worker per socket and replaces those that end. Start reading here
    handlers    model_fn, input_fn, predict_fn, output_fn, transform_fn: the user's, else those of the framework
    codecs      what the default input_fn and output_fn of SageMaker's toolkit understand
    worker      one process: one model, one request at a time
    http        as much of HTTP as the front door speaks
    own_server  a program that the model brings instead of handlers
    relays      bytes between sockets

Imports nothing but the standard library and this runtime until handlers are loaded.
"""
