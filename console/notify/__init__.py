"""Notifications: audit rows and moments become messages to chat, mail and webhooks."""
