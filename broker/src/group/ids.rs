//! The names that must not be swapped: group, member and instance ids.
//!
//! Each owns its bytes: a slice of a request's frame would keep the whole frame alive for as long as the group lives.
//! Ordered and hashed as `str`, so that maps are looked up with a borrowed `&str`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use weir_protocol::messages::StrBytes;

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, Eq, PartialEq)]
        pub struct $name(StrBytes);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The id as a wire string; shares the bytes.
            pub fn to_wire(&self) -> StrBytes {
                self.0.clone()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(StrBytes::from_string(text.to_owned()))
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.0.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, hasher: &mut H) {
                self.0.as_str().hash(hasher);
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_str().cmp(other.0.as_str())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0.as_str() == other
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.0.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.as_str())
            }
        }
    };
}

string_id! {
    /// A group's name (`group.id`).
    GroupId
}
string_id! {
    /// A member's id, made by the coordinator.
    MemberId
}
string_id! {
    /// A static member's own name (`group.instance.id`, KIP-345).
    InstanceId
}

/// Names one parked request; the shell issues it, the core hands it back with the answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// An owned copy of a wire string, detached from the frame it arrived in.
pub(crate) fn detach(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.as_str().to_owned())
}
