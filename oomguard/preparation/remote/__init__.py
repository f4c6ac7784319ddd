"""Inputs that are not files of this machine: data sets on the Hugging Face Hub, and addresses of web servers."""
