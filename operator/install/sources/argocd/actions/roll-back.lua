-- Changes the spec to the version that serves. If the spec has that version already, to the one that served before it.
local status = obj.status or {}
local serving = status.servingVersion
if serving ~= nil and serving ~= obj.spec.model.version then
  obj.spec.model.version = serving
  return obj
end
for _, rollout in ipairs(status.history or {}) do
  local served = rollout.verdict == "Promoted" or rollout.verdict == "Restored"
  if serving ~= nil and served and rollout.version ~= serving then
    obj.spec.model.version = rollout.version
    return obj
  end
end
return obj
