# logtail
