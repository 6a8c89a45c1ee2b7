"""Drives claimed exports.

run      holds the lease and gives the export one of its ends
drive    the way of an export: plan, upload, manifest, finish
ends     the ends that are not FINISHED, one table
journal  writes each step down        planning  what is read       abort_uploads  customers' buckets
"""
