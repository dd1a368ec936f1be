"""Everything that touches Ray: cluster, objective actors, population shards, Ray Train. The only
folder that imports it.
"""
