"""importers: runs measured elsewhere -> records in the store folder, written like a worker writes them."""
