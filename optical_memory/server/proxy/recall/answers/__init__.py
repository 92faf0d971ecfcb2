"""The answers of a provider to one request of a client, in each wire format: what the client is to see of them."""
