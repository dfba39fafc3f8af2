select
    parameters.workspace_id,
    exports.source,
    exports.landed_on,
    exports.file,
    exports.sha256,
    exports.bytes,
    exports.lines,
    exports.accepted,
    exports.rejected,
    exports.blank,
    exports.status,
    exports.reason,
    exports.detail,
    exports.loaded_at
from {{ source("run", "exports") }} as exports
cross join {{ source("run", "parameters") }} as parameters
