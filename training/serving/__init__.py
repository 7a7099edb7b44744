"""The model server: SageMaker's serving contract over HTTP/1.1.

messages     a request, an answer, and the answers to what cannot be read
connection   one connection: bytes in, requests to the application, answers out in order
server       listening, time limits, draining
app          what is answered: /ping, /invocations, /execution-parameters

HTTP is parsed by httptools on uvloop. There is no framework between: for a row that is scored in ten microseconds it
would be most of the work.
"""
