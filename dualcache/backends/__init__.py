"""Where entries live: ops performed in memory, nowhere, or on a server."""
