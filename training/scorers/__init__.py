"""Evaluation of the model files with numpy, or xgboost for model.ubj. Nothing here imports scikit-learn.

forest    forest.npz
linear    linear.json
boosted   model.ubj
"""
