"""Data sets that anybody may fetch, in the form in which they are published, for `import`."""
