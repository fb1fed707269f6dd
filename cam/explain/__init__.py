"""From a picture to its explanation: models, styles, explanations, saliency."""
