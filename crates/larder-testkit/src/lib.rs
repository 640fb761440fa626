//! Tools for tests of Larder and of its backends.
//!
//! - [`conformance!`]: the suite that says what each rule of the contract means.
//! - [`ManualClock`]: time that moves when a test says so.
//! - [`Faulty`]: a backend that fails as told.
//! - [`block_on`]: runs a future without a runtime.
//!
//! # Testing a backend
//!
//! One file in the backend's `tests/`: how a store is opened, and one line for the suite. Here it
//! stands beside a whole backend, a map of blobs in the documented layout that cannot be listed.
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Mutex;
//!
//! use bytes::Bytes;
//! use larder_core::{
//!     Backend, Capabilities, Clock, Delete, Error, ErrorKind, Expect, Incarnation, Key, Life,
//!     Outcome, Page, Record, Result, Retime, Scope, StoreTime, Write, layout,
//! };
//! use larder_testkit::ManualClock;
//! use larder_testkit::conformance::ManualEnv;
//!
//! type Blobs = HashMap<Bytes, Bytes>;
//!
//! struct Shelf {
//!     clock: ManualClock,
//!     /// None when closed.
//!     blobs: Mutex<Option<Blobs>>,
//! }
//!
//! impl Shelf {
//!     fn new(clock: ManualClock) -> Self {
//!         Self { clock, blobs: Mutex::new(Some(Blobs::new())) }
//!     }
//!
//!     fn now(&self) -> StoreTime {
//!         StoreTime::from_micros((self.clock.now().as_nanos() / 1_000).cast_signed())
//!     }
//!
//!     /// Runs one step that nobody interrupts.
//!     fn step<T>(&self, run: impl FnOnce(&mut Blobs) -> T) -> Result<T> {
//!         let closed = || Error::new(ErrorKind::Closed, "shelf", "the shelf is closed");
//!         self.blobs.lock().unwrap().as_mut().map(run).ok_or_else(closed)
//!     }
//!
//!     fn live(&self, blobs: &Blobs, key: &Key) -> Result<Option<Record>> {
//!         let Some(blob) = blobs.get(key.name()) else { return Ok(None) };
//!         let record = layout::decode(key, blob, self.now())?;
//!         Ok(Some(record).filter(|record| record.header.times.life() != Life::Dead))
//!     }
//!
//!     /// Applies a change where its expectation is met. What cannot be decoded is nothing.
//!     fn change(
//!         &self,
//!         key: &Key,
//!         expect: &Expect,
//!         apply: impl FnOnce(&mut Blobs, Option<Record>) -> Result<()>,
//!     ) -> Outcome {
//!         let step = self.step(|blobs| {
//!             let live = self.live(blobs, key).unwrap_or_default();
//!             let is_met = match (expect, &live) {
//!                 (Expect::Any, _) => true,
//!                 (Expect::Absent, live) => live.is_none(),
//!                 (Expect::Version(version, _), Some(live)) => live.header.version == *version,
//!                 (Expect::Version(..), None) => false,
//!             };
//!             if !is_met {
//!                 return Outcome::Refused(live.map(|record| Box::new(record.header)));
//!             }
//!             apply(blobs, live).map_or_else(Outcome::Failed, |()| Outcome::Done)
//!         });
//!         step.unwrap_or_else(Outcome::Failed)
//!     }
//!
//!     fn put(&self, blobs: &mut Blobs, key: &Key, record: &Record) -> Result<()> {
//!         blobs.insert(key.name_bytes(), layout::encode(key, record, self.now())?);
//!         Ok(())
//!     }
//! }
//!
//! impl Backend for Shelf {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::new(Scope::Process).without_scan()
//!     }
//!
//!     async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
//!         let read = |key| self.step(|blobs| self.live(blobs, key)).flatten();
//!         keys.iter().map(read).collect()
//!     }
//!
//!     async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
//!         let write = |Write { key, record, expect }: &Write| {
//!             self.change(key, expect, |blobs, _| self.put(blobs, key, record))
//!         };
//!         writes.iter().map(write).collect()
//!     }
//!
//!     async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
//!         let retime = |Retime { key, version, times, .. }: &Retime| {
//!             self.change(key, &Expect::Version(*version, None), |blobs, live| {
//!                 let Some(mut record) = live else { return Ok(()) };
//!                 record.header.times = *times;
//!                 self.put(blobs, key, &record)
//!             })
//!         };
//!         retimes.iter().map(retime).collect()
//!     }
//!
//!     async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
//!         let delete = |Delete { key, expect }: &Delete| {
//!             self.change(key, expect, |blobs, _| {
//!                 blobs.remove(key.name());
//!                 Ok(())
//!             })
//!         };
//!         deletes.iter().map(delete).collect()
//!     }
//!
//!     async fn purge(&self, limit: usize) -> Result<usize> {
//!         self.step(|blobs| {
//!             let is_dead = |name: &Bytes, blob: &Bytes| {
//!                 let scanned = layout::decode_scanned(name.clone(), blob, self.now());
//!                 scanned.is_ok_and(|(_, header)| header.times.life() == Life::Dead)
//!             };
//!             blobs.extract_if(|name, blob| is_dead(name, blob)).take(limit).count()
//!         })
//!     }
//!
//!     async fn clock(&self) -> Result<StoreTime> {
//!         self.step(|_| self.now())
//!     }
//!
//!     async fn incarnation(&self) -> Result<Incarnation> {
//!         self.step(|_| Incarnation::new(1))
//!     }
//!
//!     async fn close(&self) -> Result<()> {
//!         *self.blobs.lock().unwrap() = None;
//!         Ok(())
//!     }
//! }
//!
//! fn shelf() -> ManualEnv {
//!     // The layout counts in microseconds.
//!     ManualEnv::new(Shelf::new).with_resolution(std::time::Duration::from_micros(1))
//! }
//!
//! larder_testkit::conformance!(shelf_conformance, shelf());
//! # fn main() {
//! #     for name in larder_testkit::conformance::names() {
//! #         larder_testkit::conformance::run(name, shelf());
//! #     }
//! # }
//! ```
//!
//! A store with time of its own, or a driver that needs a runtime, implements
//! [`conformance::Env`].

pub use crate::block_on::block_on;
pub use crate::clock::ManualClock;
pub use crate::faulty::{Call, Fault, Faulty, Held, Operation};

mod block_on;
mod clock;
pub mod conformance;
mod faulty;
