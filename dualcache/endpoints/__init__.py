"""The endpoint decorator: reads served from the cache, writes that delete after their success."""
