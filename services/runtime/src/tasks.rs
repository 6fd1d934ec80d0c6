//! What runs beside the requests: keeping leases, and taking over the runs of nodes that are gone.

pub(crate) mod claim;
pub(crate) mod renew;
