#!/bin/sh
# Nothing to install yet.
