-- Continues a paused rollout by one step, or ends a step whose analysis is inconclusive.
local os = require("os")
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["imageclassifier.dev/promote"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
