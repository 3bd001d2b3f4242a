"""The routes, one file a subject. Law: a route reads its request, asks once and gives the shape; it decides nothing."""
