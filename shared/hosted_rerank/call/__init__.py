"""One rerank call: check it, cut it into batches, send them, retry, decode, merge; the score cache."""
