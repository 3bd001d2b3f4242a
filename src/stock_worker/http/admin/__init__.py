"""The inventory page. Law: it shows what the API answers and changes what the API changes, for whoever holds a token.

Pages call the API's own route functions in the same process: there is no second way to read or to write. They come
rendered, work as plain links and forms, and are made quick by htmx and a script of our own. Source: contract section 7.
"""
