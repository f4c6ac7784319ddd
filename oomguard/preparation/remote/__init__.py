"""Inputs that are not files of this machine: datasets on the Hugging Face Hub, and addresses of web servers."""
