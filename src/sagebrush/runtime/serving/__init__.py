"""The model server: runs inside a replica of an endpoint and answers predictions on sockets it inherits.

    server          the parent: forks a worker per socket and replaces those that end. Start reading here
    preparing       before that: archives, requirements, which program
    place           one socket and its worker, as the parent sees them; stamp: what the worker tells in shared memory
    birth           a worker's first steps: the user's module, the model
    worker          one request at a time; http: as much of HTTP as the front door speaks
    handlers        model_fn, input_fn, predict_fn, output_fn, transform_fn: the user's, else those of the framework
    shared_libs     native libraries that ModelBuilder packs beside a model
    context         what handlers may ask about a request, and say about their answer
    codecs          what the default input_fn and output_fn of SageMaker's toolkit understand
    own_server      a program that the model brings instead of handlers
    relays          bytes between sockets; platform_relay: the way to the platform out of a network of one's own
    progress        what a start was at when it was cut short

Imports nothing but the standard library and this runtime until handlers are loaded.
"""
