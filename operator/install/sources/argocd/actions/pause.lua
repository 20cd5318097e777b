-- Pauses this rollout and later ones before each larger share of the traffic.
obj.spec.rollout = obj.spec.rollout or {}
obj.spec.rollout.paused = true
return obj
