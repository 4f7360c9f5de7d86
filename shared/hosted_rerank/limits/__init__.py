"""When a request may be sent, and sent again: retries, the queue, the learned rate, the circuit breaker."""
