//! A tuple key, asked for by references to its parts.

use crate::lookup::{Equivalent, Lookup};

/// References to the parts of a tuple key, in order.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Refs<T>(pub T);

macro_rules! refs {
    ($($Part:ident $Key:ident $index:tt),+) => {
        impl<$($Part, $Key),+> Equivalent<($($Key,)+)> for Refs<($(&$Part,)+)>
        where
            $($Part: ?Sized + Equivalent<$Key>),+
        {
            fn equivalent(&self, key: &($($Key,)+)) -> bool {
                $(self.0.$index.equivalent(&key.$index))&&+
            }
        }

        impl<$($Part, $Key),+> Lookup<($($Key,)+)> for Refs<($(&$Part,)+)>
        where
            $($Part: ?Sized + Lookup<$Key>),+
        {
            fn to_key(&self) -> ($($Key,)+) {
                ($(self.0.$index.to_key(),)+)
            }
        }
    };
}

refs!(A K 0, B L 1);
refs!(A K 0, B L 1, C M 2);
refs!(A K 0, B L 1, C M 2, D N 3);
refs!(A K 0, B L 1, C M 2, D N 3, E O 4);
refs!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5);
