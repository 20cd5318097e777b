-- Retries the version in the spec, which has failed.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["imageclassifier.dev/retry"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
