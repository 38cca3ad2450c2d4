use super::{MicroBatch, Plan, equal_pieces};

impl Plan {
    /// The number of devices that share each batch of a training.
    pub fn device_count(&self) -> usize {
        self.device.split(',').count()
    }

    /// The images of a batch that each device gets.
    pub fn share(&self) -> usize {
        self.batch_size / self.device_count()
    }

    /// The images that pass a device at once. None if the memory decides.
    pub fn images_at_once(&self) -> Option<usize> {
        match self.micro_batch {
            None => Some(self.share()),
            Some(MicroBatch::Images(images)) => Some(images.min(self.share())),
            Some(MicroBatch::Auto) => None,
        }
    }

    /// The plan on another list of devices, to resume a run that lost one. As many images pass at
    /// once as before, if the new shares of a batch allow it. Batch normalization then sees the
    /// same images, so the losses are the same up to rounding. With
    /// [`sync_batch_norm`](Self::sync_batch_norm), it sees as many on each device as before, which
    /// fit in its memory, and so another number together.
    pub fn on_devices(&self, list: &str) -> Self {
        let mut moved = self.clone();
        moved.device = list.into();
        if moved.share() != self.share()
            && let Some(images) = self.images_at_once()
        {
            let pieces = equal_pieces(moved.share(), images);
            moved.micro_batch = pieces.map(MicroBatch::Images).or(self.micro_batch);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    #[test]
    fn on_other_devices_as_many_images_pass_at_once() {
        let mut plan = Preset::SwavSmall.pretraining();
        plan.batch_size = 30;
        plan.device = "cuda:0,cuda:1,cuda:2".into();
        assert_eq!((plan.share(), plan.images_at_once()), (10, Some(10)));
        let one = plan.on_devices("cuda:0");
        assert_eq!(one.device, "cuda:0");
        assert_eq!((one.share(), one.images_at_once()), (30, Some(10)));
        // There and back again, at most the spelling differs.
        assert_eq!(one.on_devices(&plan.device).images_at_once(), Some(10));
        // Shares of 6 cannot have pieces of 10.
        let five = "cuda:0,cuda:1,cuda:2,cuda:3,cuda:4";
        assert_eq!(one.on_devices(five).images_at_once(), Some(6));
        // With as many devices, nothing else changes.
        let others = plan.on_devices("cuda:0,cuda:1,cuda:3");
        assert_eq!(others.micro_batch, None);
        plan.micro_batch = Some(MicroBatch::Auto);
        assert_eq!(plan.on_devices("cuda:0").micro_batch, plan.micro_batch);
    }
}
