//! The loader of e2mc-data as a loader of Burn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Tensor};
use e2mc_data::{Epoch, Loader};

/// The views of each batch. Every pass over it is the next epoch, with new crops.
#[derive(Clone)]
pub struct Views {
    loader: Loader,
    device: Device,
    next_epoch: Arc<AtomicUsize>,
}

impl Views {
    pub fn new(loader: Loader, device: &Device) -> Self {
        Self {
            loader,
            device: device.clone(),
            next_epoch: Arc::default(),
        }
    }
}

impl DataLoader<Vec<Tensor<4>>> for Views {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Vec<Tensor<4>>> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::Relaxed);
        Box::new(Batches {
            epoch: self.loader.epoch(epoch, &self.device),
            done: 0,
            total: self.num_items(),
        })
    }

    fn num_items(&self) -> usize {
        self.loader.source().len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Vec<Tensor<4>>>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<Vec<Tensor<4>>>> {
        panic!("a batch must stay whole: its loss compares all of its images")
    }
}

struct Batches {
    epoch: Epoch,
    done: usize,
    total: usize,
}

impl Iterator for Batches {
    type Item = Result<Vec<Tensor<4>>, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.epoch.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(DatasetError::new(error))),
        };
        self.done += batch.indices.len();
        Some(Ok(batch.views))
    }
}

impl DataLoaderIterator<Vec<Tensor<4>>> for Batches {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.total, Some("images".into()))
    }
}
