"""The volume actor: volumes and attachments."""
