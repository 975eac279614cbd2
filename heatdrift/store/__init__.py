"""store: records on disk, and the database that one idempotent ingest makes of them.

Writers (``folder``, ``claims``) touch only their own cell's folder. ``ingest`` turns all records into a DuckDB file by
writing a copy and renaming it, so readers (``connect``, ``read``, ``sql``) and writers never wait for each other.
"""
