//! Images: where they come from, and the store that holds them unpacked.
//!
//! [`ImageStore`] is the way in: it finds an image, fetches what is missing of it, and hands out an [`Image`], whose
//! layers stay where they are for as long as somebody holds it.

mod config;
pub(crate) mod digest;
mod flatten;
mod manifest;
mod platform;
mod source;
mod store;
#[cfg(test)]
pub(crate) mod testing;
mod unpack;
mod unpacker;

pub(crate) use self::{
    config::ImageConfig,
    flatten::flatten,
    store::{Image, ImageStore, StoreOptions, Wanted},
    unpack::{Options as UnpackOptions, Ownership, Unpacked, Whiteouts, remove_tree, unpack},
    unpacker::{LocalUnpacker, Unpacker},
};
