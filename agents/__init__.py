"""Learning: tensors in, tensors out. Nothing here steps an environment or opens a socket."""
