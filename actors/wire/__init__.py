"""How frames travel between processes: in memory, or over RabbitMQ."""
