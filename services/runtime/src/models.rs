//! The models that exist, behind the port [`crate::domain::model::Model`].

pub(crate) mod scripted;
