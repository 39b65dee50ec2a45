"""The embedded servers: a real mongod and a real Redis for one user, on Unix sockets in a private folder."""
